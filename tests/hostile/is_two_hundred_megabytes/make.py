def make(library, kit):
    with (library / "attention.py").open("r+") as file:
        file.truncate(200 * 2**20)
