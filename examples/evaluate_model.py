"""Evaluate a saved model on labelled data: metrics at its thresholds and at 0.5, pictures, and its worst errors.

    python examples/evaluate_model.py --model_dir runs/data --data_dir data --split test
    python examples/evaluate_model.py --model_dir runs/demo                                # on the demo's data

The same as `imbalance-trainer evaluate`.
"""

from imbalance_trainer.cli.evaluate import main
from imbalance_trainer.cli.parser import run

if __name__ == "__main__":
    run(main)
