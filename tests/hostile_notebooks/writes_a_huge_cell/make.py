def edit(cells):
    cells[0]["source"] = "x" * 10**7
