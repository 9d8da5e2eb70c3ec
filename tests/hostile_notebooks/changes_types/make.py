def edit(cells):
    graded = [cell for cell in cells if "nbgrader" in cell["metadata"]]

    for cell in graded:
        if cell["cell_type"] == "code":
            cell["cell_type"] = "markdown"
            cell.pop("outputs"), cell.pop("execution_count")
    cells.reverse()
