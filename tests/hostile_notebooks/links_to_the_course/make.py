def spoil(path):
    course = path.parents[4] / "course"
    (path.parent / "gradebook.db").symlink_to(course / "gradebook.db")
    (path.parent / "course").symlink_to(course)
