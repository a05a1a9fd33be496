"""Training of the learned reconstructors: specimens, data, and the trainer. A host room.

materials -> crystals -> specimens     what is trained on; no material of any tier is among them
first_order -> pairs -> shards         what a network gets beside the truth, kept in files
recipes                                every number of a data set and of a training
losses -> trainer -> checkpoint        training itself, resumable to the byte
"""
