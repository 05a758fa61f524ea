"""What a WSGI server runs. Settings are `production` unless DJANGO_SETTINGS_MODULE says otherwise."""

import os

from django.core.wsgi import get_wsgi_application

from operations.environment import load_dotenv, refuse_without_manifest

load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
application = get_wsgi_application()
refuse_without_manifest()
