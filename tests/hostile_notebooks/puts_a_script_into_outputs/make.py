def edit(cells):
    script = "<script>alert(1)</script>"
    kinds = ("text/html", "image/svg+xml", "application/javascript", "text/markdown", "text/latex")
    for cell in cells:
        if cell["cell_type"] == "code":
            data = {kind: script for kind in kinds}
            cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data}]
