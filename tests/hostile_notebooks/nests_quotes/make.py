def edit(cells):
    text = "> " * 4_000 + "deep"
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
