#!/usr/bin/env python3
"""Proves the hub of hub_server.py right: Python's own huggingface_hub and modelscope_hub work with it.

    $(Scripts/parity/environment) Scripts/faults/hub_client_check.py [--apus PATH]

With --apus also that they and Apus share their caches: what one has downloaded the other finds without a network.

Downloads with redirects, paging, revisions, gated and private repositories, and publishes, each with the real client.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import tempfile

import hub_server


def write_repositories(root):
    """A model with large and small files, a data set, and repositories of every other kind."""
    randomness = random.Random(7)

    def write(path, data):
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    model = "models/owner/tiny-model.v1"
    write(f"{model}/config.json", '{"model_type": "llama"}')
    write(f"{model}/tokenizer.json", '{"version": "1.0"}')
    write(f"{model}/README.md", "---\nlicense: mit\n---\n# Tiny\n")
    write(f"{model}/model.safetensors", randomness.randbytes(3 << 20))
    write(f"{model}/pytorch_model.bin", randomness.randbytes(1 << 20))
    write(f"{model}/onnx/model.onnx", randomness.randbytes(1 << 18))
    write(f"{model}/1_Pooling/config.json", "{}")
    write(f"{model}/.revisions/v2/config.json", '{"model_type": "qwen2"}')
    for index in range(25):
        write(f"models/owner/many/part/{index:02}.txt", f"{index}\n")
    write("models/owner/gated/config.json", "{}")
    write("models/owner/gated/.hub.json", '{"gated": true}')
    write("models/owner/private/config.json", "{}")
    write("models/owner/private/.hub.json", '{"private": true}')
    write("models/owner/old-name/.hub.json", '{"moved_to": "owner/tiny-model.v1"}')
    write("models/owner/words/config.json", '{"model_type": "llama"}')
    write("models/owner/words/tokenizer.json", json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
        "post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}))
    write("datasets/owner/pairs/train.jsonl", '{"query": "a", "response": "b"}\n' * 40)
    write("datasets/owner/pairs/README.md", "---\nconfigs: []\n---\n")


def tree_of(folder):
    """Every file below a folder with its digest, links followed."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file() and not str(path.relative_to(folder)).startswith((".hub", ".revisions", ".cache", "._", ".ms"))
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--apus")
    apus = parser.parse_args().apus
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch, "hub")
        write_repositories(root)
        hub, address, _ = hub_server.start(root, page=10)
        os.environ |= {
            "HF_ENDPOINT": address, "HF_HOME": f"{scratch}/hf", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "MODELSCOPE_ENDPOINT": address, "MODELSCOPE_CACHE": f"{scratch}/ms",
            "MODELSCOPE_DOWNLOAD_INTRA_CLOUD": "0", "XDG_CACHE_HOME": f"{scratch}/cache",
        }
        for name in ("HF_TOKEN", "MODELSCOPE_API_TOKEN"):
            os.environ.pop(name, None)
        done = []
        if apus:
            shared_hugging_face(root, apus, done)
        hugging_face(root, scratch, hub, done)
        import modelscope_hub
        if apus:
            shared_model_scope(apus, done)
        model_scope(root, done, modelscope_hub.__version__)
        print(json.dumps(done, indent=2))


def run_apus(apus, *words, **environment):
    run = subprocess.run([apus, *words], env=os.environ | environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def shared_hugging_face(root, apus, done):
    import huggingface_hub as client
    folder = run_apus(apus, "download", "hf::owner/tiny-model.v1")
    assert client.snapshot_download("owner/tiny-model.v1", local_files_only=True) == folder
    assert client.hf_hub_download("owner/tiny-model.v1", "model.safetensors", local_files_only=True)
    # Python fetches what Apus has left out, and nothing else.
    whole = client.snapshot_download("owner/tiny-model.v1")
    assert whole == folder and tree_of(whole) == tree_of(root / "models/owner/tiny-model.v1")
    done.append("huggingface_hub finds what Apus has downloaded")
    other = client.snapshot_download("owner/tiny-model.v1", revision="v2")
    assert run_apus(apus, "download", "hf::owner/tiny-model.v1", "--revision", "v2") == other
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    client.snapshot_download("owner/words")
    assert run_apus(apus, "tokenize", "--model", "hf::owner/words", "--text", "ab", **away) == "[0, 1]"
    local = pathlib.Path(whole).parents[3] / "mine"
    run_apus(apus, "download", "hf::owner/pairs", "--repo_type", "dataset", "--local_dir", str(local))
    client.snapshot_download("owner/pairs", repo_type="dataset", local_dir=local)
    assert tree_of(local) == tree_of(root / "datasets/owner/pairs")
    done.append("Apus finds what huggingface_hub has downloaded")


def shared_model_scope(apus, done):
    from modelscope_hub.compat.snapshot_download import snapshot_download
    folder = run_apus(apus, "download", "ms::owner/tiny-model.v1")
    assert snapshot_download("owner/tiny-model.v1", local_files_only=True) == folder
    done.append("modelscope_hub finds what Apus has downloaded")


def hugging_face(root, scratch, hub, done):
    import huggingface_hub as client
    from huggingface_hub.utils import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    def expect(error, body):
        try:
            body()
        except error:
            return
        raise SystemExit(f"no {error.__name__}")

    whole = client.snapshot_download("owner/tiny-model.v1")
    assert tree_of(whole) == tree_of(root / "models/owner/tiny-model.v1"), "the snapshot differs"
    assert client.snapshot_download("owner/tiny-model.v1", local_files_only=True) == whole
    sent = [entry for entry in hub.log if entry["host"] == "cdn"]
    assert sent and not any(entry["authorization"] for entry in sent)
    done.append("snapshot of a model with redirects to a store")
    other = client.snapshot_download("owner/tiny-model.v1", revision="v2")
    assert json.loads(pathlib.Path(other, "config.json").read_text())["model_type"] == "qwen2"
    done.append("another revision")
    assert len(tree_of(client.snapshot_download("owner/many"))) == 25
    done.append("a tree in pages")
    assert tree_of(client.snapshot_download("owner/pairs", repo_type="dataset")) == tree_of(root / "datasets/owner/pairs")
    done.append("a data set")
    assert client.hf_hub_download("owner/old-name", "config.json")
    done.append("a repository that has moved")
    expect(RepositoryNotFoundError, lambda: client.snapshot_download("owner/nothing"))
    expect(RepositoryNotFoundError, lambda: client.snapshot_download("owner/private"))
    expect(RevisionNotFoundError, lambda: client.snapshot_download("owner/tiny-model.v1", revision="v9"))
    expect(EntryNotFoundError, lambda: client.hf_hub_download("owner/tiny-model.v1", "absent.json"))
    expect(GatedRepoError, lambda: client.hf_hub_download("owner/gated", "config.json"))
    expect(GatedRepoError, lambda: client.hf_hub_download("owner/gated", "config.json", token="hf_limited"))
    assert client.hf_hub_download("owner/gated", "config.json", token="hf_good")
    assert client.snapshot_download("owner/private", token="hf_good")
    done.append("missing, private, gated; with and without tokens")
    hub.rules = [{"match": "GET hub /owner/tiny-model.v1/resolve", "times": 1, "status": 429, "headers": {"Retry-After": "0"}}]
    hub.__dict__["chunk"] = 1 << 20
    api = client.HfApi(token="hf_good")
    api.create_repo("tester/published", private=True)
    api.upload_folder(repo_id="tester/published", folder_path=root / "models/owner/tiny-model.v1", commit_message="First")
    published = tree_of(root / "models/tester/published")
    published.pop(".gitattributes")
    assert published == tree_of(root / "models/owner/tiny-model.v1"), "what was published differs"
    done.append("publishing: preupload, parts of large files, commit")
    done.append(f"huggingface_hub {client.__version__}")


def model_scope(root, done, version):
    from modelscope_hub.compat.snapshot_download import snapshot_download
    whole = snapshot_download("owner/tiny-model.v1")
    assert tree_of(whole) == tree_of(root / "models/owner/tiny-model.v1"), "the snapshot differs"
    assert snapshot_download("owner/tiny-model.v1", local_files_only=True) == whole
    done.append(f"snapshot of a model of ModelScope, in {pathlib.Path(whole).relative_to(os.environ['MODELSCOPE_CACHE'])}")
    from modelscope_hub.api import HubApi
    api = HubApi(token="hf_good", endpoint=os.environ["MODELSCOPE_ENDPOINT"])
    assert api.whoami().username == "tester"
    api.create_repo("tester/published-there", "model", visibility="private")
    api.upload_folder(
        repo_id="tester/published-there", repo_type="model", folder_path=root / "models/owner/tiny-model.v1",
        commit_message="First", ignore_patterns=[".revisions/*"])
    published = tree_of(root / "models/tester/published-there")
    assert published == tree_of(root / "models/owner/tiny-model.v1"), "what was published differs"
    done.append("publishing on ModelScope: the store, commit")
    try:
        snapshot_download("owner/nothing")
    except Exception as error:
        done.append(f"a missing model: {type(error).__name__}")
    else:
        raise SystemExit("no error for a missing model")
    done.append(f"modelscope_hub {version}")


if __name__ == "__main__":
    main()
