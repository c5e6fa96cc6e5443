"""Images, the views that are cut from them, and the batches that training sees."""
