def edit(cells):
    script = "<script>alert(1)</script>"
    for cell in cells:
        cell["metadata"] |= {"tags": [script], "name": script, "slideshow": {"slide_type": script}}
        if cell["cell_type"] == "markdown":
            cell["attachments"] = {script: {"text/html": script}}
            cell["source"] += f"\n\n![x](attachment:{script})"
