def edit(cells):
    graded = [cell for cell in cells if "nbgrader" in cell["metadata"]]

    for cell in graded:
        cell["source"] = 'check("attention.causal_mask")'
