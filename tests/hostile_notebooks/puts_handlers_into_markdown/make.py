def edit(cells):
    text = (
        "<img src=x onerror=alert(1)><iframe srcdoc='<script>alert(1)</script>'></iframe>"
        "<form action=//evil.example><input autofocus onfocus=alert(1)></form><details op"
        "en ontoggle=alert(1)>"
    )
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = text
    cells.insert(0, {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text})
