"""LayerHeadForSequenceClassification: a classification head over several layers of an encoder.

This file is copied beside the weights of a saved model, so it imports torch and transformers alone.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.modeling_outputs import SequenceClassifierOutput


def first_middle_last(n_layers: int) -> list[int]:
    """The hidden states that a head sees by default, 0 being the embeddings."""
    return sorted({0, n_layers // 2, n_layers})


class LayerHeadConfig(PreTrainedConfig):
    """Config of LayerHeadForSequenceClassification.

    Args:
        backbone: config of the encoder, or a dict of it.
        layers: whose hidden states enter the head, 0 for the embeddings; None for the first, the middle and the last.
        head_dropout: share of the head's inputs that are left out in training.
    """

    model_type = "layer_head"
    sub_configs = {"backbone": AutoConfig}  # noqa: RUF012  # as transformers declares it

    def __init__(
        self, backbone: Any = None, layers: list[int] | None = None, head_dropout: float = 0.1, **kwargs: Any
    ) -> None:
        if isinstance(backbone, dict):
            backbone = AutoConfig.for_model(**backbone)
        self.backbone, self.layers, self.head_dropout = backbone, layers, head_dropout
        if backbone is not None:
            kwargs.setdefault("pad_token_id", getattr(backbone, "pad_token_id", None))
        super().__init__(**kwargs)
        if backbone is not None:
            n_layers = getattr(backbone, "num_hidden_layers", None)
            if n_layers is None:
                raise ValueError(f"{type(backbone).__name__} has no num_hidden_layers; take the model's own head.")
            self.layers = first_middle_last(n_layers) if layers is None else layers
            if not all(0 <= layer <= n_layers for layer in self.layers):
                raise ValueError(f"layers must lie between 0 and {n_layers}, the encoder's layers; got {layers}.")

    @property
    def hidden_size(self) -> int:
        """Width of the encoder."""
        return self.backbone.hidden_size


class LayerHeadForSequenceClassification(PreTrainedModel):
    """An encoder with one linear layer on the mean over tokens of several of its layers.

    The pooled output of the encoder stands beside them where it has one. Lower layers hold words and last ones
    meaning; a linear probe on both starts a head that finds rare labels before the encoder is trained.

    Args:
        config: a LayerHeadConfig.
    """

    config_class = LayerHeadConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    def __init__(self, config: LayerHeadConfig) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels or 0
        self.backbone = AutoModel.from_config(config.backbone)
        has_pooler = getattr(self.backbone, "pooler", None) is not None
        width = config.backbone.hidden_size * (len(config.layers or ()) + has_pooler)
        self.dropout = nn.Dropout(config.head_dropout)
        self.classifier = nn.Linear(width, self.num_labels)
        self.post_init()

    @classmethod
    def from_encoder(
        cls,
        encoder: str,
        layers: list[int] | None = None,
        head_dropout: float = 0.1,
        config: Any = None,
        **kwargs: Any,
    ) -> "LayerHeadForSequenceClassification":
        """Load a pretrained encoder under a new head.

        Args:
            encoder: a folder, or a name on the Hub.
            layers, head_dropout: see LayerHeadConfig.
            config: the encoder's config, where it is to differ from the one that is stored.
            kwargs: fields of the config, such as num_labels, id2label and problem_type.
        """
        config = AutoConfig.from_pretrained(encoder) if config is None else config
        backbone = AutoModel.from_pretrained(encoder, config=config)
        model = cls(LayerHeadConfig(backbone=backbone.config, layers=layers, head_dropout=head_dropout, **kwargs))
        model.backbone = backbone
        return model

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Logits, (rows, labels), and with labels the loss that a model of transformers has."""
        kwargs["output_hidden_states"] = True
        inputs = {"input_ids": input_ids} if inputs_embeds is None else {"inputs_embeds": inputs_embeds}
        outputs = self.backbone(**inputs, attention_mask=attention_mask, return_dict=True, **kwargs)
        hidden = outputs.hidden_states
        if hidden is None:
            raise ValueError(f"{type(self.backbone).__name__} gives no hidden states; take its plain head.")
        if attention_mask is None:
            means = [hidden[layer].mean(1) for layer in self.config.layers]
        else:
            mask = attention_mask[..., None].to(hidden[0])
            n_tokens = mask.sum(1).clamp(min=1)
            means = [(hidden[layer] * mask).sum(1) / n_tokens for layer in self.config.layers]
        pooled = getattr(outputs, "pooler_output", None)
        features = torch.cat(means if pooled is None else [pooled, *means], dim=-1)
        logits = self.classifier(self.dropout(features))
        loss = None if labels is None else ForSequenceClassificationLoss(labels, logits, self.config)
        output = SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=None, attentions=outputs.attentions)
        return output if return_dict is not False else output.to_tuple()


AutoConfig.register("layer_head", LayerHeadConfig, exist_ok=True)
AutoModelForSequenceClassification.register(LayerHeadConfig, LayerHeadForSequenceClassification, exist_ok=True)
LayerHeadConfig.register_for_auto_class()
LayerHeadForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
