def make(library, kit):
    for number in range(3_000):
        (library / f"{number}.py").touch()
