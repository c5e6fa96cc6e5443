# Not built and not run yet: no machine with docker or a GPU has been at hand.
# How to build and to run it: README.md in this folder. The build context holds the package's wheel and nothing else.
# The base has CUDA 13.2, TensorRT 10.16.1 with its Python module and Python 3.12, and wants driver 580 or newer. It is the TensorRT
# of nvcr.io/nvidia/tritonserver:26.05-py3, so that engines built here are served there. TensorRT is the image's own, hence no extra
# tensorrt; with EXTRAS=gpu,tensorrt and a CUDA image as BASE, such as nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04, it comes from
# the package index. Whether the base has cuDNN, which ONNX Runtime's CUDA provider needs, was not seen; engines do not need it.
# To hold the base image, name it by digest: --build-arg BASE=nvcr.io/nvidia/tensorrt:26.05-py3@sha256:...
ARG BASE=nvcr.io/nvidia/tensorrt:26.05-py3
FROM ${BASE}

# PINS: further requirements, to hold versions.
ARG EXTRAS=gpu
ARG PINS="onnxruntime-gpu==1.31.1 cuda-bindings>=13,<14"
ARG UID=1000
ARG GID=1000

COPY sskt_edge-*.whl /wheel/
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv --system-site-packages /opt/edge \
    && /opt/edge/bin/pip install --no-cache-dir "$(echo /wheel/sskt_edge-*.whl)[${EXTRAS}]" ${PINS} \
    && rm /wheel/sskt_edge-*.whl \
    && /opt/edge/bin/python -c "import importlib.util as u; assert u.find_spec('tensorrt'), 'no Python module tensorrt in this base image'" \
    && mkdir /state /bundles \
    && chown "${UID}:${GID}" /state /bundles

# The list of engines that were built here lies in /state: a volume keeps it from one container to the next.
ENV PATH=/opt/edge/bin:${PATH} HOME=/state XDG_STATE_HOME=/state PYTHONUNBUFFERED=1
VOLUME /state
WORKDIR /bundles
USER ${UID}:${GID}
ENTRYPOINT ["sskt-edge"]
CMD ["eval", "/bundle"]
