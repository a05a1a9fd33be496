"""What the learned reconstructors share: the network's image, made to agree with the counts.

plain           where plain ptychography ends, and a network begins
consistency     steps towards the counts that cannot make the likelihood worse
guard           whether the counts bear the network's image out, or plain ptychography's
method          all of it, for one sample
"""
