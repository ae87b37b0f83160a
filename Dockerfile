# Training, evaluation, prediction and export on CPU: docker build -t xception . ; docs/installation.md says how to run it.
FROM python:3.11-slim-bookworm

# g++ compiles the operators in C++ once, at the first training or evaluation.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/xception
COPY requirements.txt requirements-plot.txt requirements-fast.txt ./
RUN pip install --no-cache-dir -r requirements.txt -r requirements-plot.txt -r requirements-fast.txt
COPY . .

# What a container writes into a mounted folder belongs to an ordinary user; `docker run --user` names another one.
RUN useradd --create-home --uid 1000 xception && mkdir /work && chown xception /work
USER 1000
WORKDIR /work
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["python"]
CMD ["/opt/xception/train.py", "--help"]
