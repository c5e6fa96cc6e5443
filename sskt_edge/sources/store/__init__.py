"""The store of soft labels: what a source said of a view is kept for every run. numpy, safetensors and files alone.

store/<model>-<key>/manifest.json        what the collection is of, and its shards by hash; written last
store/<model>-<key>/<random>.safetensors a shard: the labels of some thousand views, never changed
store/.<model>-<key>.lock                there while a process fills; one left by a crash blocks no process
"""
