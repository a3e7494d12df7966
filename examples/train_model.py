"""Fine-tune an encoder on texts with rare labels, and see what happens to each label.

    accelerate launch examples/train_model.py                         # the demo: embedded data and model, no network
    accelerate launch examples/train_model.py --data_dir my_data --model_name_or_path roberta-base --bf16

The same as `imbalance-trainer train`, with the same flags. A training program by hand: `by_feature/`.
"""

from imbalance_trainer.cli.parser import run
from imbalance_trainer.cli.train import GOES_ON, main

if __name__ == "__main__":
    run(main, GOES_ON)
