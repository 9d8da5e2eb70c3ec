def edit(cells):
    for cell in cells:
        cell["id"] = "same"
