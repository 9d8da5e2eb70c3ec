def edit(cells):
    text = (
        "[a](javascript:alert(1)) [b](JaVaScRiPt&colon;alert(1)) [c][d] <javascript:alert"
        "(1)> [e](data:text/html,<script>alert(1)</script>)\n\n[d]: javascript:alert(1)"
    )
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
