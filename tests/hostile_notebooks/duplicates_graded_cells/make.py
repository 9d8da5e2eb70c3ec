def edit(cells):
    cells += [dict(cell) for cell in cells * 2]
