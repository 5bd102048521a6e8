"""The parameters' descriptions in Portuguese, by their English text: when that changes, a test asks for this one."""

from __future__ import annotations

PORTUGUESE: dict[str, str] = {
    "Size, as the provider names it": "Tipo, como o provedor o chama",
    "Place, as the provider names it": "Local, como o provedor o chama",
    "Operating system": "Sistema operacional",
    "Labels of the server at the provider, KEY=VALUE": "Rótulos do servidor no provedor",
    "Names of the servers": "Nomes dos servidores",
    "Domain below which each server gets NAME.DOMAIN; else the zone": (
        "Domínio sob o qual cada servidor recebe NOME.DOMÍNIO; senão a zona"
    ),
    "Applications to install: `app`, or `app:instance` for one more": (
        "Aplicações a instalar: `app`, ou `app:instancia` para mais uma da mesma"
    ),
    "Variables of the definitions, by instance and name": (
        "Variáveis das definições, por instância: {instancia: {nome: valor}}"
    ),
    "Name of the server": "Nome do servidor",
    "Base domain of the server's applications": "Domínio base das aplicações do servidor",
    "User that may become root": "Usuário que pode virar root",
    "SSH port": "Porta SSH",
    "File of the private SSH key; else those of the SSH agent and ~/.ssh": (
        "Arquivo da chave SSH privada; senão as do agente SSH e de ~/.ssh"
    ),
    "Servers to work on": "Servidores",
    "Go through everything, also where nothing seems to have changed": (
        "Refaz tudo, também onde nada parece ter mudado"
    ),
    "The name once more, as confirmation; without it nothing is done": "O nome mais uma vez, como confirmação",
    "`app`, or `app:instance` for one more": "`app`, ou `app:instancia` para mais uma da mesma",
    "Servers; else all": "Servidores; senão todos",
    "Name of the installed application": "Nome da aplicação instalada",
    "Server to work on": "Servidor",
    "Remove its volumes, databases and secrets as well": "Remove também volumes, bancos de dados e segredos",
    "Only this category": "Só esta categoria",
    "Name of the application": "Nome da aplicação",
    "One service of it; else all": "Um serviço dela; senão todos",
    "Newest lines of each service": "Linhas mais novas de cada serviço",
    "Command and its arguments; no shell reads them": "Comando e argumentos; nenhum shell os lê",
    "Only jobs in these states": "Só trabalhos nestes estados",
    "Only jobs of this operation": "Só trabalhos desta operação",
    "Only jobs that change this server": "Só trabalhos que mudam este servidor",
    "How many, the newest first": "Quantos, os mais novos primeiro",
    "Go on after this job, the last one of a page": "Continua depois deste, o último de uma página",
    "Identifier of the job": "Id do trabalho",
    "What the token is for; the audit log names it": "Para que serve o token; a auditoria o cita",
    "What it is good for; deploy and admin include what is less, exec includes read; report is for webhooks alone": (
        "O que permite; deploy e admin incluem o que é menos, exec inclui read; report só para webhooks"
    ),
    "Servers it is limited to; else all": "Servidores a que se limita; senão todos",
    "Days after which it ends; never when not given": "Dias até acabar; nunca, se não for dito",
    "Identifier of the token": "Id do token",
    "How many, the newest": "Quantas, as mais novas",
    "Newest lines to leave out, which were read before": "Linhas mais novas a pular, já lidas",
    "Go on after this deployment, the last one of a page": "Continua depois desta, a última de uma página",
    "Only those in these states": "Só nestes estados",
    "Only those below this path": "Só os abaixo deste caminho",
    "Only those of this server": "Só deste servidor",
    "Kind of its SSH key; else ed25519": "Tipo da chave SSH; senão ed25519",
    "Base domain of its applications; else NAME in the zone": ("Domínio base das aplicações; senão NOME na zona"),
    "IPv4 address or host name": "Endereço IPv4 ou nome de host",
    # --- dns.*
    "Full host name in the zone; *.… for all below one; @ is the zone itself": (
        "Nome completo na zona; *.… para todos abaixo de um; @ é a própria zona"
    ),
    "Type of the record": "Tipo do registro",
    "Address, host name or text, as the type asks for": "Endereço, nome de host ou texto, conforme o tipo",
    "DNS zone; else that of the settings": "Zona DNS; sem ela, a da configuração",
    "Seconds that resolvers keep it; 1 leaves them to Cloudflare": (
        "Segundos que resolvedores o guardam; 1 deixa com a Cloudflare"
    ),
    "Go through Cloudflare's proxy (A, AAAA, CNAME)": "Passa pelo proxy da Cloudflare (A, AAAA, CNAME)",
    "Preference of an MX record, which must have one": "Preferência de um MX, que precisa de uma",
    "Keep other values of the name and type, else replaced": (
        "Mantém outros valores do nome e tipo; senão são trocados"
    ),
    "Take over what others made; never what is a server's": "Assume o que outros fizeram; nunca o de um servidor",
    "Only this name and those below it": "Só este nome e os abaixo dele",
    "Only records of this type": "Só registros deste tipo",
    "Only those of this server, or of operator/dns: set by hand": (
        "Só os deste servidor, ou de operator/dns: definidos à mão"
    ),
    "List also what others made": "Lista também os feitos por outros",
    "Only this value; all of name and type without it": "Só este valor; sem ele, todos do nome e tipo",
}
