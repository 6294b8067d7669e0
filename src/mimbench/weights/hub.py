"""Uploads to the Hugging Face hub."""

from pathlib import Path

from mimbench.core.extras import how_to_install


def push(files: list[Path], repository: str, public: bool = False) -> str:
    """Uploads files to the Hugging Face hub in one commit with the user's token; returns a line with the address.

    Args:
        public: Whether a new repository is public; existing ones are not changed.

    Raises:
        ValueError: huggingface-hub is not installed, or the upload failed.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
    except ImportError:
        raise ValueError(f"--push needs huggingface-hub: {how_to_install('hub')}.") from None
    names = {file: "README.md" if file.suffix == ".md" else file.name for file in files}
    additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=file) for file, name in names.items()]
    api = HfApi()
    try:
        url = api.create_repo(repository, private=not public, exist_ok=True)
        api.create_commit(url.repo_id, additions, commit_message="Weights from mimbench")
    except Exception as error:  # errors of the network, the hub and its client are of many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"The files are written, but the upload failed ({reason}). Log in with `hf auth login`, check the "
            f"name {repository}, and upload them again with `hf upload {repository} PATH`."
        ) from error
    return f"Pushed to {url}"
