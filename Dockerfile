# mimbench in a container: `docker build --build-arg TORCH=cpu --build-arg TORCH_INDEX=URL -t mimbench:cpu .`, or compose.yaml.
# TORCH=cuda needs NVIDIA's driver and container toolkit on the host; CUDA itself comes with PyTorch's packages.
FROM python:3.12-slim

ARG TORCH=cuda
# Index of CPU builds for TORCH=cpu, as PyTorch's installation page names it.
ARG TORCH_INDEX=""
# Additional packages, such as "hub tensorboard"; see pyproject.toml.
ARG EXTRAS=""

RUN apt-get update \
    && apt-get install --yes --no-install-recommends bash git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mimbench
COPY . .
RUN PIP_NO_CACHE_DIR=1 make install TORCH="$TORCH" TORCH_INDEX="$TORCH_INDEX" EXTRAS="$EXTRAS"

# Any user may run it, with runs and data in /work: docker run --user "$(id -u)" -v "$PWD:/work" ...
ENV PATH="/opt/mimbench/.venv/bin:$PATH" HOME=/tmp
WORKDIR /work
ENTRYPOINT ["mimbench"]
CMD ["--help"]
