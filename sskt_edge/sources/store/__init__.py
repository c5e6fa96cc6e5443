"""The store of soft labels keeps a source's answers for all runs. It needs only numpy, safetensors and files.

store/<model>-<key>/manifest.json        the collection's facts, and its shards by hash; written last
store/<model>-<key>/<random>.safetensors a shard: the labels of some thousand views, never changed
store/.<model>-<key>.lock                exists while a process fills; one left by a crash blocks no process
"""
