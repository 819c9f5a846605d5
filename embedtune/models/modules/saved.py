"""How the parts of a model of ours are written and read."""

from typing import Any, Self

from sentence_transformers.base.modules import Module


class SavedModule(Module):
    """A module whose `config_keys` and weights are all there is of it."""

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:  # noqa: ARG002
        """Write the configuration, and the weights as safetensors."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(  # type: ignore[override]  # sentence-transformers names each of its arguments
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        local_files_only: bool = False,
        **kwargs: Any,  # noqa: ARG003
    ) -> Self:
        """Read what `save` wrote."""
        config = cls.load_config(model_name_or_path, subfolder=subfolder, local_files_only=local_files_only)
        loaded: Self = cls.load_torch_weights(
            model_name_or_path, subfolder=subfolder, local_files_only=local_files_only, model=cls(**config)
        )
        return loaded
