def edit(cells):
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = "answer \ud800 \x00 \x1b[2J \u202e"
