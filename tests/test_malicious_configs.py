"""Configs that would do harm: under --safe nothing of them runs, and the refusal names the line."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from medctx3d.engine.launch import load_config, read_config
from medctx3d.registry import LOSSES
from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.literal_reader import MAX_SIZE

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
OPEN = "open('CANARY', 'w')"  # CANARY stands for a file that must not appear
CODE = {  # name -> text, line that is refused, construct that is named
    'import': ("a = 1\nimport os\nos.system('touch CANARY')", 2, 'an import'),
    'import from': ("from os import system\nsystem('touch CANARY')", 1, 'an import'),
    'import of a module beside it': ('import canary_module', 1, 'an import'),
    'hidden import': ("a = __import__('os').system('touch CANARY')", 1, r'a call of \.\.\.\.system\(\)'),
    'open': (f'a = {OPEN}', 1, r'a call of open\(\)'),
    'exec': (f'a = 1\n\nb = exec("{OPEN}")', 3, r'a call of exec\(\)'),
    'eval': (f'a = eval("{OPEN}")', 1, r'a call of eval\(\)'),
    'function': (f'def f():\n    {OPEN}\na = f()', 1, 'a function'),
    'decorator': (f'@{OPEN}.write\ndef f(): pass', 2, 'a function'),
    'class': (f'class A:\n    {OPEN}', 1, 'a class'),
    'lambda': (f'a = (lambda: {OPEN})()', 1, r'a call of'),
    'list comprehension': (f'a = [{OPEN} for i in (1,)]', 1, 'a comprehension'),
    'dictionary comprehension': (f'a = {{i: {OPEN} for i in (1,)}}', 1, 'a comprehension'),
    'f-string': (f'a = f"{{{OPEN}}}"', 1, 'an f-string'),
    'f-string alone': (f'"text"\nf"{{{OPEN}}}"', 2, 'Expr'),
    'assignment inside': (f'a = (b := {OPEN})', 1, 'an assignment inside'),
    'annotation': (f'a: {OPEN} = 1', 1, 'an annotated assignment'),
    'assignment that computes': (f'a = [1]\na += [{OPEN}]', 2, 'an assignment that computes'),
    'assignment to an item': (f'a = {{}}\na[{OPEN}] = 1', 2, 'an assignment to anything but one name'),
    'assignment to several': (f'a, b = {OPEN}, 1', 1, 'an assignment to anything but one name'),
    'shadowed dict': (f'dict = {OPEN}\na = dict(b=1)', 1, 'an assignment to dict'),
    'builtins': ('__builtins__ = dict(a=1)', 1, 'an assignment to __builtins__'),
    'with': (f'with {OPEN} as a:\n    pass', 1, 'With'),
    'loop': (f'for i in {OPEN}:\n    pass', 1, 'For'),
    'try': (f'try:\n    {OPEN}\nfinally:\n    pass', 1, 'Try'),
    'assert': (f'assert {OPEN}', 1, 'Assert'),
    'index': (f'a = {{}}\nb = a[{OPEN}]', 2, 'an index'),
    'condition': (f'a = {OPEN} if True else 0', 1, 'a condition'),
    'and': (f'a = True and {OPEN}', 1, 'BoolOp'),
    'comparison': (f'a = {OPEN} == 1', 1, 'Compare'),
    'formatting': (f"a = '%s' % {OPEN}", 1, 'the operator Mod'),
    'attribute': ("a = dict(b='x').__class__.__mro__", 1, 'an attribute'),
    'inside a list': (f'a = dict(\n    b=[\n        1,\n        {OPEN},\n    ],\n)', 4, r'a call of open\(\)'),
    'argument of dict': (f'a = dict({OPEN})', 1, r'dict\(\) of something'),
    'computed base': (f'_base_ = [{OPEN}.name]', 1, 'an attribute'),
    'other encoding': ('# -*- coding: utf-7 -*-\na = 1\n+AGEAIAA9ACA-' + OPEN, 3, 'Expr'),
    'match': (f'match {OPEN}:\n    case a:\n        pass', 1, 'Match'),
    'power': ('a = 10 ** 10 ** 10', 1, 'the operator Pow'),
    'shift': ('a = 1 << 10000000000', 1, 'the operator LShift'),
    'repeated string': ("a = 'a' * 10000000000", 1, 'arithmetic with a str'),
    'repeated list': ('a = [0] * 10000000000', 1, 'arithmetic with a list'),
    'growing number': ('a = 999999999999999999\nb = a * a', 2, 'a whole number of more than 63 bits'),
    'billion laughs': (
        'a0 = "lol lol lol"\n' + ''.join(f'a{i + 1} = [{", ".join([f"a{i}"] * 8)}]\n' for i in range(8)),
        7,
        f'more than {MAX_SIZE} values',
    ),
}  # fmt: skip
RUNS_OTHERWISE = ['import', 'hidden import', 'open', 'f-string', 'annotation', 'decorator', 'computed base', 'class']
TRAIN = "optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))\n"
NAMES = {  # name -> text (the line of the last string is refused), words of the refusal
    'custom import': ("custom_imports = dict(\n    imports=['canary_module'])", 'custom_imports imports a module'),
    'module of a component': ("model = dict(\n    type='canary_module.Thing')", "type='canary_module.Thing' is not"),
    'function of the system': ("model = dict(type='os.system', command='touch CANARY')", "type='os.system'"),
    'process': ("custom_hooks = [dict(type='subprocess.Popen', args='touch CANARY', shell=True)]", 'subprocess.Popen'),
    'nested component': ("model = dict(a=[dict(b=dict(\n    type='builtins.exec'))])", 'builtins.exec'),
    'unpickling function': ("model = dict(type='torch.load', f='x.pt')", 'torch.load'),
    'code from the network': ("model = dict(type='torch.hub.load', repo_or_dir='a/b')", 'torch.hub.load'),
    'loss that downloads': ("model = dict(\n    type='monai.losses.PerceptualLoss')", 'monai.losses.PerceptualLoss'),
    'reader that unpickles': ("pipeline = [dict(\n    type='monai.transforms.LoadImaged')]", 'LoadImaged'),
    'bundle': ("model = dict(type='monai.bundle.ConfigWorkflow')", 'monai.bundle'),
    'constructor': (f"{TRAIN}optim_wrapper = dict(constructor='canary_module.Thing')", "constructor='canary_module"),
    'moving average of anything': ("a = dict(type='EMATeacherHook', ema_type='canary_module.Thing')", 'ema_type='),
    'mmengine hook that builds': ("custom_hooks = [dict(type='EMAHook')]", "type='EMAHook' is not"),
    'scope': ("model = dict(type='SGD', _scope_='canary_module')", '_scope_ imports a package'),
    'default scope': ("default_scope = 'canary_module'", 'default_scope must be'),
    'scope in a name': ("model = dict(type='canary_module.SGD')", 'canary_module.SGD'),
    'metric that pickles': ("test_evaluator = dict(type='DumpResults', out_file_path='x.pkl')", 'DumpResults'),
    'log to a server': ("visualizer = dict(vis_backends=[dict(type='WandbVisBackend')])", 'WandbVisBackend'),
    'server of files': ("dataset = dict(backend_args=dict(backend='petrel'))", 'backend_args may name a server'),
    'weights from the network': ("load_from = 'https://example.org/x.pth'", 'is an address'),
    'rendezvous': ("env_cfg = dict(dist_cfg=dict(backend='gloo', init_method='tcp://x:1'))", 'dist_cfg may have'),
    'compiler': ("compile = dict(options={'cpp.cxx': ['touch', 'CANARY']})", 'compile must be True or False'),
    'folder of the system': ("work_dir = '/etc'", '--cfg-options work_dir=/etc'),
    'folder of the user': ("a = dict(out_dir='~/.config')", 'is absolute; under --safe paths are relative'),
    'folder above': ("a = dict(root='x/../../y')", '--cfg-options a.root=x/../../y'),
    'share': ("a = dict(root='\\\\\\\\server\\\\share')", 'is absolute; under --safe paths are relative'),
    'type that is no name': ('model = dict(type=3)', 'type=3 is not'),
}
TEXTS = {name: text for name, (text, *_) in {**CODE, **NAMES}.items()}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that leaves a trace when it is imported; the trace itself is not there yet."""
    trace = tmp_path / 'canary'
    (tmp_path / 'canary_module.py').write_text(f"open({str(trace)!r}, 'w')\nclass Thing: ...\n", encoding='utf-8')
    monkeypatch.syspath_prepend(tmp_path)
    yield trace
    sys.modules.pop('canary_module', None)


def written(trap: Path, text: str) -> Path:
    path = trap.parent / 'own.py'
    path.write_text(text.replace('CANARY', str(trap)), encoding='utf-8')
    return path


@pytest.mark.parametrize('name', CODE)
def test_code_is_refused_by_line_and_not_run(name: str, trap: Path) -> None:
    text, line, construct = CODE[name]
    path = written(trap, text)
    with pytest.raises(ConfigError, match=rf'own\.py, line {line}: {construct}'):
        read_config(path)
    assert not trap.exists()
    assert 'canary_module' not in sys.modules


@pytest.mark.parametrize('name', RUNS_OTHERWISE)
def test_the_same_text_runs_without_safe(name: str, trap: Path) -> None:
    """The control: the trap works, and an ordinary config is code."""
    try:
        Config.fromfile(str(written(trap, TEXTS[name])), lazy_import=False)
    except Exception:
        assert name in ('decorator', 'annotation', 'f-string', 'open', 'computed base', 'class')
    assert trap.exists()


@pytest.mark.parametrize('name', NAMES)
def test_names_that_would_do_harm_are_shown_but_not_built(name: str, trap: Path) -> None:
    text, words = NAMES[name]
    path = written(trap, text)
    read_config(path)  # to be looked at
    with pytest.raises(ConfigError) as caught:
        load_config(path, safe=True)
    assert words in str(caught.value)
    if "type='" in text and text.count("'") == 2:
        assert f'own.py, line {text.count(chr(10)) + 1})' in str(caught.value)
    assert not trap.exists()
    assert 'canary_module' not in sys.modules


@pytest.mark.parametrize('name', sorted(NAMES))
def test_json_is_refused_alike(name: str, trap: Path) -> None:
    content = read_config(written(trap, NAMES[name][0])).config.to_dict()
    path = trap.parent / 'own.json'
    path.write_text(json.dumps(content), encoding='utf-8')
    with pytest.raises(ConfigError) as caught:
        load_config(path, safe=True)
    assert NAMES[name][1] in str(caught.value)
    assert not trap.exists()


def test_code_in_a_base_is_refused_by_its_own_line(trap: Path) -> None:
    (trap.parent / 'base.py').write_text(f'a = 1\nb = open({str(trap)!r}, "w")', encoding='utf-8')
    with pytest.raises(ConfigError, match=r'base\.py, line 2: a call of open'):
        read_config(written(trap, "_base_ = 'base.py'"))
    assert not trap.exists()


def test_all_that_is_refused_comes_at_once(trap: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(trap, "work_dir = '/etc'\nmodel = dict(type='os.system')\ncompile = 'x'"), safe=True)
    places = [line.split(' ')[2].rstrip(':') for line in str(caught.value).splitlines()[1:]]
    assert places == ['work_dir', 'model.type', 'compile']


def test_a_component_that_a_plugin_registered_is_not_built(trap: Path) -> None:
    LOSSES.register_module(name='LossOfATestPlugin', module=type('LossOfATestPlugin', (), {'__module__': 'plugin'}))
    try:
        with pytest.raises(ConfigError, match='LossOfATestPlugin'):
            load_config(written(trap, "model = dict(type='LossOfATestPlugin')"), safe=True)
    finally:
        LOSSES.module_dict.pop('LossOfATestPlugin')


def test_the_users_own_hand_may_name_any_path_and_no_component(trap: Path) -> None:
    path = written(trap, "work_dir = '/etc'\nmodel = dict(type='VolumeSegmentor', init_cfg=None)\n")
    assert load_config(path, dict(work_dir='/scratch/run'), safe=True).work_dir == '/scratch/run'
    with pytest.raises(ConfigError, match=r'os\.system'):
        load_config(path, {'work_dir': 'x', 'model.type': 'os.system'}, safe=True)


def test_what_is_only_read_may_be_absolute(trap: Path) -> None:
    text = "load_from = '/models/x.pth'\ntrain_dataloader = dict(dataset=dict(data_root='/scans', ann_file='/l.json'))"
    assert load_config(written(trap, text), safe=True).load_from == '/models/x.pth'


def test_yaml_is_no_config(trap: Path) -> None:
    path = trap.parent / 'own.yaml'
    path.write_text(f"a: !!python/object/apply:os.system ['touch {trap}']", encoding='utf-8')
    for safe in (True, False):
        with pytest.raises(ConfigError, match=r'must be a \.py or \.json file'):
            load_config(path, safe=safe)
    assert not trap.exists()


@pytest.mark.parametrize(
    'tool',
    [path for path in sorted(TOOLS.rglob('*.py')) if 'add_config_options(' in path.read_text(encoding='utf-8')],
    ids=lambda path: path.stem,
)
def test_a_tool_that_offers_safe_heeds_it_wherever_it_opens_a_config(tool: Path) -> None:
    tree = ast.parse(tool.read_text(encoding='utf-8'))
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call)]
    opened = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == 'open_config']
    assert opened or 'args.safe' in tool.read_text(encoding='utf-8')
    for call in opened:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given.get('safe') == 'args.safe', f'{tool.name}, line {call.lineno}'


def test_a_link_out_of_the_working_folder_is_followed_and_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'link').symlink_to(tmp_path)
    (tmp_path / 'work' / 'inner').symlink_to('kept')
    (tmp_path / 'work' / 'own.py').write_text("a = dict(root='link/not_yet/prepared')", encoding='utf-8')
    (tmp_path / 'work' / 'fine.py').write_text("model = dict(root='inner/prepared', name='link')", encoding='utf-8')
    monkeypatch.chdir(tmp_path / 'work')
    with pytest.raises(ConfigError, match=r'own\.py, line 1\): .*leads through a link out of the working folder'):
        load_config('own.py', safe=True)
    (tmp_path / 'work' / 'link').unlink()
    assert load_config('fine.py', safe=True).model.root == 'inner/prepared'


def test_an_absolute_path_inside_the_working_folder_is_refused_for_what_it_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('own.py').write_text(f"work_dir = '{tmp_path}/runs'", encoding='utf-8')
    with pytest.raises(ConfigError, match='is absolute; under --safe paths are relative to the working folder'):
        load_config('own.py', safe=True)
