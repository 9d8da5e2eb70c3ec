def make(library, kit):
    for folder in (library, library.parent):
        for name in (
            "sitecustomize",
            "usercustomize",
            "json",
            "struct",
            "safetensors",
            "autograde",
        ):
            (folder / f"{name}.py").write_text("raise SystemExit('planted')\n")
        (folder / "start.pth").write_text("import sys; sys.exit('planted')\n")
