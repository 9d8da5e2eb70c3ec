"""What becomes of a notebook on its way from source/ to release/."""

from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.preprocessors import SaveCells as StockSaveCells
from nbgrader.utils import is_grade

from autograde.build.lessons import ANSWER_STUB, CODE_STUB
from autograde.build.strip import strip_solutions


class StripSolutions(NbGraderPreprocessor):
    """Takes solution regions out with the same function as the build.

    nbgrader's own `ClearSolutions` would also wipe the rest of a cell that comes stripped.
    """

    def preprocess_cell(self, cell, resources, cell_index):
        stub = CODE_STUB if cell.cell_type == "code" else ANSWER_STUB
        cell.source = strip_solutions(cell.source, stub)
        return cell, resources


class SaveCells(StockSaveCells):
    """Saves graded functions as cells that can be commented on, too.

    nbgrader keeps comments on what it calls solution cells, which are the written answers; a
    function's solution is in `mha_lib`.
    """

    def preprocess_cell(self, cell, resources, cell_index):
        if is_grade(cell):
            self._create_solution_cell(cell)
        return super().preprocess_cell(cell, resources, cell_index)
