"""From a specification to Keras: network, optimizer, loss, schedule."""
