"""Say which labels texts have, deciding as the evaluation did: by the saved model's thresholds and its labels' rules.

    python examples/predict.py --model_dir runs/data --text "a text"
    python examples/predict.py --model_dir runs/data --file texts.txt --output_file predictions.jsonl

The same as `imbalance-trainer predict`. In a program of one's own it is three lines:

    classify = pipeline("text-classification", "runs/data", pipeline_class=ImbalanceTextClassificationPipeline)
    for labels in classify(texts, batch_size=32):
        ...
"""

from imbalance_trainer.cli.parser import run
from imbalance_trainer.cli.predict import main

if __name__ == "__main__":
    run(main)
