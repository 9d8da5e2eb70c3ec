def make(library, kit):
    with (library / "attention.py").open("a") as file:
        file.write("\nx = " + "-" * 90_000 + "1\n")
