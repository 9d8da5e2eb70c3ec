def edit(cells):
    cells += [{"cell_type": "markdown", "metadata": {}, "source": "x"} for _ in range(2_000)]
