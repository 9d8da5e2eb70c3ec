def edit(cells):
    text = (
        "```\n</code></pre><script>alert(1)</script>\n```\n\n`</code><script>alert(1)</script"
        ">`\n\n<!-- --><script>alert(1)</script><!-- -->\n\n~~~mermaid\ngraph LR; A[<img src=x"
        " onerror=alert(1)>]\n~~~"
    )
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
