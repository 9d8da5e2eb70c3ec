def edit(cells):
    text = (
        "![](https://evil.example/seen.png) <link rel=stylesheet href=//evil.example/x.cs"
        "s> <style>@import '//evil.example/x.css';</style> <meta http-equiv=refresh conte"
        "nt='0;url=//evil.example'> <base href=//evil.example>"
    )
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
