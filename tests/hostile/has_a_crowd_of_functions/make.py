def make(library, kit):
    with (library / "attention.py").open("a") as file:
        file.writelines(f"def f{n}(): pass\n" for n in range(5_000))
