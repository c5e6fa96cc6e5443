"""Images, the views that are cut from them, and the batches of a training run."""
