def edit(cells):
    graded = [cell for cell in cells if "nbgrader" in cell["metadata"]]

    strange = (None, [], 3, "text", {"grade_id": []}, {"grade_id": None})
    for value, cell in zip(strange, graded, strict=False):
        cell["metadata"]["nbgrader"] = value
