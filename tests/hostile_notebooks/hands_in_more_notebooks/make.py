def spoil(path):
    for name in ("03_split_run_concatenate_project", "copy", f"{path.stem} (1)"):
        (path.parent / f"{name}.ipynb").write_text(path.read_text())
