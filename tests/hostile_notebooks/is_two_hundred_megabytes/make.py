def spoil(path):
    with path.open("r+") as file:
        file.truncate(200 * 2**20)
