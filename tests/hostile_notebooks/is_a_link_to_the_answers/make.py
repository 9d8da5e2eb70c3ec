def spoil(path):
    path.unlink()
    path.symlink_to(path.parents[4] / "course" / "answer_keys" / path.name)
