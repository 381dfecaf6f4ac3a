"""How the reconstructor is trained, typed and frozen. Knows no file format."""

from pathlib import Path

from pydantic import Field

from configs.schema import Section


class ReconstructorTraining(Section):
    """One training of the adapter that writes a whole text from the words kept of it."""

    data: tuple[Path, ...] = ()
    """Directories that `pal data prepare` wrote."""
    seed: int = Field(default=0, ge=0)
    """Order, budgets and first weights are a function of this."""
    steps: int = Field(default=160, ge=1)
    """Gradient steps."""
    batch: int = Field(default=2, ge=1)
    """Pieces of text in one step."""
    rank: int = Field(default=4, ge=1, le=64)
    """Of the adapter; its size on disk is about 0.3 MB for each."""
    modules: tuple[str, ...] = ("q_proj", "v_proj", "o_proj", "down_proj")
    """Linear layers that the adapter changes."""
    rate: float = Field(default=2e-3, gt=0)
    """Learning rate at its highest; it rises for a tenth of the steps, then falls in a line to a tenth."""
    words: int = Field(default=90, ge=8, le=400)
    """Most words of one piece of text; its prompt and it are read together."""
    lowest_budget: float = Field(default=0.3, gt=0, lt=1)
    """Smallest share of the tokens that is kept in training."""
    highest_budget: float = Field(default=0.7, gt=0, lt=1)
    """Largest share of the tokens that is kept in training."""
    checkpoint_every: int = Field(default=20, ge=1)
    """Steps between two checkpoints; the last one is kept."""
    held_out: int = Field(default=24, ge=0)
    """Pieces of held-out documents that it is judged by at the end."""
    judged_budget: float = Field(default=0.5, gt=0, lt=1)
    """Share of the tokens that is kept of those."""
