def make(library, kit):
    for name in ("a\nb.py", "c\x1b[2Jd.py", "'; rm -rf ~; '.py", "\udcff.py"):
        (library / name).write_text("")
