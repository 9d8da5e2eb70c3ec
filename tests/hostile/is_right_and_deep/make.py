def make(library, kit):
    with (library / "attention.py").open("a") as file:
        file.write("\nx = " + "+".join(["1"] * 2_500) + "\n")
