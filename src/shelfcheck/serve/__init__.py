"""The prediction endpoint, an extra: `pip install 'shelfcheck[serve]'`.

contract.py   bodies to reviews, probabilities to bodies: nothing of HTTP
loaded.py     the model that answers, and how another takes its place
batching.py   reviews of requests that wait at the same time are predicted together
metrics.py    what Prometheus is told
app.py        paths, limits, errors
pages.py      the OpenAPI document, and the page that shows it
server.py     uvicorn: start, graceful stop
"""
