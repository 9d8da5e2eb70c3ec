def make(library, kit):
    with (library / "attention.py").open("a") as file:
        file.write("\nimport time\n\ntime.sleep(60)\n")
