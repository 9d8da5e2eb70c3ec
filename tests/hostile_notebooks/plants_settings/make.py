def spoil(path):
    for name in ("nbgrader_config.py", "jupyter_config.py", "sitecustomize.py", "conftest.py"):
        (path.parent / name).write_text("open('/tmp/hostile-settings', 'w')")
    (path.parent / ".nbgrader.log").write_text("")
